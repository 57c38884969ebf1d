//! What the program brings along: the commented default configuration, the codebooks, the sample sessions and their gold.

use include_dir::{Dir, include_dir};
use std::path::Path;

static PROMPTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/prompts");
static GOLD: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/gold");

/// The commented default configuration.
pub const CONFIG: &str = include_str!("../config.toml");

/// The shipped codebooks and partial templates, as (file name, text).
pub fn prompts() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROMPTS.files().filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
}

/// Every shipped file of a new project, as (path, content).
pub fn project_files() -> Vec<(std::path::PathBuf, &'static [u8])> {
    let mut files = vec![(Path::new("config.toml").to_owned(), CONFIG.as_bytes())];
    collect(&PROMPTS, Path::new("prompts"), &mut files);
    collect(&GOLD, Path::new("gold"), &mut files);
    files
}

fn collect(folder: &'static Dir<'_>, place: &Path, files: &mut Vec<(std::path::PathBuf, &'static [u8])>) {
    files.extend(folder.files().map(|file| (place.join(file.path()), file.contents())));
    for inner in folder.dirs() {
        collect(inner, place, files);
    }
}
