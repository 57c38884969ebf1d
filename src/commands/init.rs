//! `init`: a project to start from.

use super::{Exit, print, print_json, say};
use interrater::cli::{Common, Init};
use interrater::shipped;
use miette::{IntoDiagnostic, Result, WrapErr};
use std::fs;

/// Writes the shipped files that are not there yet.
pub fn run(args: &Init, common: &Common) -> Result<Exit> {
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for (path, content) in shipped::project_files() {
        let path = args.dir.join(path);
        if path.exists() {
            kept.push(path);
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(&path, content).into_diagnostic().wrap_err_with(|| format!("cannot write {}", path.display()))?;
        written.push(path);
    }
    if common.json {
        print_json(&serde_json::json!({ "written": written, "kept": kept }))?;
    } else {
        let kept = if kept.is_empty() { String::new() } else { format!(", kept {} that were there", kept.len()) };
        print(&format!("wrote {} files to {}{kept}\n", written.len(), args.dir.display()))?;
        if !common.quiet {
            say!("next: interrater annotate");
        }
    }
    Ok(Exit::Done)
}
