//! A git repository as a test needs it, made without git: objects through the library that reads them, references as files.

use gix_hash::{Kind as Hash, ObjectId};
use gix_object::{Kind, Write};
use gix_odb::loose::Store;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository in a folder.
pub struct Repository {
    /// The folder that holds the repository itself: `.git` of a work tree.
    pub git: PathBuf,
    store: Store,
}

/// Files of a tree, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Repository {
    /// An empty repository in the work tree `folder`.
    pub fn at(folder: &Path) -> Repository {
        Repository::bare(&folder.join(".git"))
    }

    /// An empty repository that is `folder`.
    pub fn bare(folder: &Path) -> Repository {
        for inner in ["objects/pack", "objects/info", "refs/heads"] {
            fs::create_dir_all(folder.join(inner)).expect("a folder can be made");
        }
        fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").expect("a file can be written");
        fs::write(folder.join("config"), "[core]\n\trepositoryformatversion = 0\n").expect("a file can be written");
        Repository { git: folder.to_owned(), store: Store::at(folder.join("objects"), Hash::Sha1) }
    }

    /// Writes a tree with all that is below it.
    pub fn tree(&self, files: &Files) -> ObjectId {
        let mut below: BTreeMap<&str, Files> = BTreeMap::new();
        let mut entries: Vec<(String, &str, ObjectId)> = Vec::new();
        for (path, bytes) in files {
            match path.split_once('/') {
                Some((folder, rest)) => {
                    below.entry(folder).or_default().insert(rest.to_owned(), bytes.clone());
                }
                None => entries.push((path.clone(), "100644", self.blob(bytes))),
            }
        }
        entries.extend(below.into_iter().map(|(folder, files)| (folder.to_owned(), "40000", self.tree(&files))));
        // Git sorts folders as if their names ended with a slash.
        entries.sort_by_key(|(name, mode, _)| if *mode == "40000" { format!("{name}/") } else { name.clone() });
        let mut tree = Vec::new();
        for (name, mode, id) in entries {
            tree.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            tree.extend_from_slice(id.as_slice());
        }
        self.write(Kind::Tree, &tree)
    }

    /// Writes a file's bytes.
    pub fn blob(&self, bytes: &[u8]) -> ObjectId {
        self.write(Kind::Blob, bytes)
    }

    /// Writes a commit.
    pub fn commit(&self, files: &Files, parents: &[ObjectId], message: &str) -> ObjectId {
        let mut text = format!("tree {}\n", self.tree(files));
        parents.iter().for_each(|parent| text.push_str(&format!("parent {parent}\n")));
        let when = 1_770_000_000 + message.len();
        text.push_str(&format!("author A <a@example.org> {when} +0000\ncommitter A <a@example.org> {when} +0000\n\n"));
        self.write(Kind::Commit, (text + message).as_bytes())
    }

    /// Writes a reference, such as `refs/heads/main`.
    pub fn reference(&self, name: &str, id: ObjectId) -> &Repository {
        let path = self.git.join(name);
        fs::create_dir_all(path.parent().expect("a reference is in a folder")).expect("a folder can be made");
        fs::write(path, format!("{id}\n")).expect("a file can be written");
        self
    }

    /// Moves all references into one file, as git does to have fewer.
    pub fn pack_references(&self) {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut pending = vec![self.git.join("refs")];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            } else {
                let name = path.strip_prefix(&self.git).expect("it is below").display().to_string();
                found.insert(name, fs::read_to_string(&path).expect("a reference"));
                fs::remove_file(&path).expect("a file can be removed");
            }
        }
        let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        found.iter().for_each(|(name, id)| packed.push_str(&format!("{} {name}\n", id.trim())));
        fs::write(self.git.join("packed-refs"), packed).expect("a file can be written");
    }

    /// Has git pack everything; false where there is no git.
    pub fn gc(&self) -> bool {
        self.git(&["gc", "--quiet", "--prune=now"]).is_some()
    }

    /// Runs git in the repository; none where there is no git.
    pub fn git(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new("git");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_DIR", &self.git);
        let output = match command.args(arguments).output() {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: there is no git to run");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).expect("git says text"))
    }

    /// Where an object lies that is not packed.
    pub fn object(&self, id: ObjectId) -> PathBuf {
        let hex = id.to_string();
        self.git.join("objects").join(&hex[..2]).join(&hex[2..])
    }

    fn write(&self, kind: Kind, bytes: &[u8]) -> ObjectId {
        self.store.write_buf(kind, bytes).expect("an object can be written")
    }
}
