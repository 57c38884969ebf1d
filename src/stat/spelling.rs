//! The nearest of some names, for a name that does not exist.

/// The name nearest to `word`, if one is near enough to be meant: at most a third of its letters differ.
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near = |name: &&str| distance(word, name) * 3 <= word.chars().count().max(name.chars().count());
    names.filter(near).min_by_key(|name| distance(word, name))
}

/// Edits (a letter more, less or other) between two words (Levenshtein 1966).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != against);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_offered() {
        let names = ["labels", "values", "a", "b"];
        assert_eq!(nearest("lables", names.into_iter()), Some("labels"));
        assert_eq!(nearest("label", names.into_iter()), Some("labels"));
        assert_eq!(nearest("c", names.into_iter()), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
