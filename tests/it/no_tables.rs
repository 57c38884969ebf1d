//! The binary without the feature `parquet`: a table is told of, with the way out.

use crate::project::{Project, claude};

#[test]
fn a_table_is_refused_when_named_and_skipped_in_a_folder() {
    let project = Project::empty();
    project.write("data/s.jsonl", claude("s", &["go"])).write("data/t.parquet", b"PAR1 whatever PAR1");
    insta::assert_snapshot!(project.refused(&["sessions", "data/t.parquet"]), @"
    error: cannot use data/t.parquet: Parquet, which this program was built without
    hint: build with the feature `parquet`, which is on by default, or name transcripts
    ");
    let ran = project.ok(&["sessions", "data"]);
    assert!(ran.err.contains("skipped data/t.parquet: Parquet, which this program was built without\n"), "{}", ran.err);
    assert!(ran.err.contains("1 sessions") || ran.err.contains("1 session "), "{}", ran.err);
}
