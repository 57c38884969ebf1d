//! What a user gets wrong: one line that says what and where, a way out where there is one, exit code 2, and nothing lost.

use crate::context::Context;
use crate::project::{Project, TONE, first_line};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

const GOLD: &str = "unit,rater,label,split\ncodex:s0#1,gold,calm,dev\ncodex:s1#1,gold,calm,test\n";

/// A project with gold, a run, and a ledger with lines.
fn good() -> Project {
    static MADE: LazyLock<BTreeMap<PathBuf, Vec<u8>>> = LazyLock::new(|| {
        let project = Project::new();
        project.write("gold/tone.csv", GOLD);
        project.ok(&["annotate", "tone", "--quiet"]);
        project.ok(&["agree", "--task", "tone", "--replicates", "200"]);
        project.files("")
    });
    Project::holding(&MADE)
}

/// What is said when something of a good project is spoilt. Nothing that was stored may change.
fn said(spoil: impl FnOnce(&Project), args: &[&str]) -> String {
    said_with(spoil, args, &[])
}

fn said_with(spoil: impl FnOnce(&Project), args: &[&str], environment: &[(&str, &str)]) -> String {
    let project = good();
    let stored = |project: &Project| (project.files("runs"), project.files(".interrater"));
    let before = stored(&project);
    assert!(!before.0.is_empty() && !before.1.is_empty(), "there is something to lose");
    spoil(&project);
    let ran = project.run_with(args, environment);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "`{}` is to be refused:\n{}", args.join(" "), ran.err);
    assert!(first_line(&ran.err).starts_with("error: "), "the first line says what is wrong: {}", ran.err);
    assert!(stored(&project) == before, "`{}` changed what was stored", args.join(" "));
    ran.err
}

fn untouched(_: &Project) {}

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_line() {
    let config = |text: &'static str| {
        said(
            move |project| {
                project.write("config.toml", text);
            },
            &["annotate"],
        )
    };
    insta::assert_snapshot!(config("[input]\nsessions = [\"logs\"]\n[annotate]\nmodle = \"baseline/cues\"\n"), @r#"
    error: config.toml:4: unknown field `modle`, expected one of `tasks`, `model`, `concurrency`, `timeout`, `max_retries`, `patience`, `redact`
       ╭─[config.toml:4:1]
     3 │ [annotate]
     4 │ modle = "baseline/cues"
       · ──┬──
       ·   ╰── here
       ╰────
    "#);
    insta::assert_snapshot!(config("[input]\nsessions = \"logs\"\n"), @r#"
    error: config.toml:2: invalid type: string "logs", expected a sequence
       ╭─[config.toml:2:12]
     1 │ [input]
     2 │ sessions = "logs"
       ·            ───┬──
       ·               ╰── here
       ╰────
    "#);
    insta::assert_snapshot!(config("[annotate]\nconcurrency = -1\n"), @"
    error: config.toml:2: invalid value: integer `-1`, expected usize
       ╭─[config.toml:2:15]
     1 │ [annotate]
     2 │ concurrency = -1
       ·               ─┬
       ·                ╰── here
       ╰────
    ");
    insta::assert_snapshot!(config("[annotate\n"), @"
    error: config.toml:1: unclosed table, expected `]`
       ╭─[config.toml:1:10]
     1 │ [annotate
       ·          ▲
       ·          ╰── here
       ╰────
    ");
    insta::assert_snapshot!(config("[annotate]\ntasks = [\"tune\"]\n"), @"
    error: there is no codebook for task `tune` in prompts
    hint: known tasks: effort, tone
    ");
    insta::assert_snapshot!(config("[input]\nsessions = [\"log\"]\n"), @"
    error: no such file or folder: log
    hint: check the path, or name other transcripts with --sessions PATH
    ");
    insta::assert_snapshot!(said(untouched, &["annotate", "--config", "other.toml"]), @"error: cannot read other.toml: No such file or directory (os error 2)");
    let utf8 = said(
        |project| {
            project.write("config.toml", b"[input]\n# caf\xe9\n");
        },
        &["annotate"],
    );
    assert!(first_line(&utf8).starts_with("error: cannot read config.toml: "), "{utf8}");
}

#[test]
fn a_model_that_cannot_be_asked_is_refused_before_anything_else() {
    let model = |name: &str, more: &[&str]| said(untouched, &[&["annotate", "tone", "--model", name], more].concat());
    insta::assert_snapshot!(model("gpt-6", &[]), @"
    error: `gpt-6` is no model: expected PROVIDER/MODEL
    hint: for example anthropic/claude-haiku-5.5, openai/gpt-6-luna, gemini/gemini-3.5-flash or baseline/cues
    ");
    insta::assert_snapshot!(model("openai/", &[]), @"
    error: `openai/` is no model: expected PROVIDER/MODEL
    hint: for example anthropic/claude-haiku-5.5, openai/gpt-6-luna, gemini/gemini-3.5-flash or baseline/cues
    ");
    insta::assert_snapshot!(model("opnai/gpt-6", &[]), @"
    error: there is no provider `opnai`
    hint: known providers: openai, anthropic, gemini, baseline, dataset; a [provider.opnai] table in config.toml adds one
    ");
    insta::assert_snapshot!(model("baseline/words", &[]), @"
    error: there is no model `baseline/words`
    hint: the built-in models are baseline/cues and baseline/majority
    ");
    insta::assert_snapshot!(model("openai/gpt-6", &[]), @"
    error: no API key for openai: the environment variable OPENAI_API_KEY is not set
    hint: set OPENAI_API_KEY, or use --model baseline/cues, which needs no key
    ");
    insta::assert_snapshot!(model("anthropic/claude", &[]), @"
    error: no API key for anthropic: the environment variable ANTHROPIC_API_KEY is not set
    hint: set ANTHROPIC_API_KEY, or use --model baseline/cues, which needs no key
    ");
    insta::assert_snapshot!(model("gemini/flash", &[]), @"
    error: no API key for gemini: the environment variable GEMINI_API_KEY is not set
    hint: set GEMINI_API_KEY, or use --model baseline/cues, which needs no key
    ");
    insta::assert_snapshot!(model("openai/gpt-6", &["--base-url", "127.0.0.1:8000/v1"]), @"error: `127.0.0.1:8000/v1` is no base URL: expected http://… or https://…");
    let own = |table: &'static str, environment: &[(&str, &str)]| {
        let spoil = move |project: &Project| {
            project.write("config.toml", format!("[input]\nsessions = [\"logs\"]\n{table}"));
        };
        said_with(spoil, &["annotate", "tone", "--model", "local/m"], environment)
    };
    insta::assert_snapshot!(own("[provider.local]\nkind = \"openai\"\n", &[]), @"
    error: [provider.local] needs `base_url`
    hint: kind is openai, anthropic or gemini; base_url is what the official client takes
    ");
    insta::assert_snapshot!(own("[provider.local]\nbase_url = \"http://127.0.0.1:1/v1\"\n", &[]), @"
    error: [provider.local] needs `kind`
    hint: kind is openai, anthropic or gemini; base_url is what the official client takes
    ");
    insta::assert_snapshot!(own("[provider.local]\nkind = \"opnai\"\n", &[]), @r#"
    error: config.toml:4: unknown variant `opnai`, expected one of `openai`, `anthropic`, `gemini`
       ╭─[config.toml:4:8]
     3 │ [provider.local]
     4 │ kind = "opnai"
       ·        ───┬───
       ·           ╰── here
       ╰────
    "#);
    const KEYED: &str =
        "[provider.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key_env = \"LOCAL_KEY\"\n";
    insta::assert_snapshot!(own(KEYED, &[]), @"
    error: no API key for local: the environment variable LOCAL_KEY is not set
    hint: set LOCAL_KEY, or use --model baseline/cues, which needs no key
    ");
    insta::assert_snapshot!(own(KEYED, &[("LOCAL_KEY", "  ")]), @"
    error: no API key for local: the environment variable LOCAL_KEY is not set
    hint: set LOCAL_KEY, or use --model baseline/cues, which needs no key
    ");
}

#[test]
fn a_mistake_in_a_codebook_is_named_with_file_and_line() {
    let codebook = |from: &'static str, to: &'static str| {
        assert!(TONE.contains(from), "{from}");
        said(
            move |project| {
                project.write("prompts/tone.md", TONE.replacen(from, to, 1));
            },
            &["annotate", "tone"],
        )
    };
    insta::assert_snapshot!(codebook("type = \"text\"", "type = \"text\"\ncolour = \"red\""), @r#"
    error: prompts/tone.md:10: unknown field `colour`, expected one of `name`, `type`, `description`, `optional`, `level`, `min`, `max`, `start`, `cues`, `label`, `collapse`, `band`, `cue`, `part`, `criterion`
        ╭─[prompts/tone.md:10:1]
      9 │ type = "text"
     10 │ colour = "red"
        · ───┬──
        ·    ╰── here
     11 │ 
        ╰────
    "#);
    insta::assert_snapshot!(codebook("name = \"calm\"", "name = \"curt\""), @r#"
    error: prompts/tone.md:23: duplicate label `curt`
        ╭─[prompts/tone.md:23:8]
     22 │ [[field.label]]
     23 │ name = "curt"
        ·        ───┬──
        ·           ╰── here
     24 │ definition = "Calm."
        ╰────
    hint: each name may stand once; remove or rename one
    "#);
    insta::assert_snapshot!(codebook("type = \"text\"", "type = \"prose\""), @r#"
    error: prompts/tone.md:9: unknown field type `prose`
        ╭─[prompts/tone.md:9:8]
      8 │ name = "reason"
      9 │ type = "prose"
        ·        ───┬───
        ·           ╰── here
     10 │ 
        ╰────
    hint: types: label, labels, score, number, flag, text, shares, evidence, criteria
    "#);
    insta::assert_snapshot!(codebook(r"(?i)\bnow\b", r"(?i)\bnow(\b"), @r#"
    error: prompts/tone.md:21: this cue is no regular expression: error: unclosed group
        ╭─[prompts/tone.md:21:9]
     20 │ definition = "Curt."
     21 │ cues = ['(?i)\bnow(\b']
        ·         ───────┬──────
        ·                ╰── here
     22 │ [[field.label]]
        ╰────
    "#);
    insta::assert_snapshot!(codebook("{% block instructions %}", "Be careful.\n{% block instructions %}"), @"
    error: prompts/tone.md:31: this text stands outside every block and would not be sent
        ╭─[prompts/tone.md:31:1]
     30 │ {{ material.text }}{{ material.close }}{% endblock %}
     31 │ Be careful.
        · ─────┬─────
        ·      ╰── here
     32 │ {% block instructions %}Label event {{ target.event }}: {% for l in field.label.labels %}{{ l.name }} {% endfor %}{% endblock %}
        ╰────
    ");
    insta::assert_snapshot!(codebook("{{ target.event }}", "{{ taget.event }}"), @"
    error: prompts/tone.md:31: unknown variable `taget` in block `instructions`
        ╭─[prompts/tone.md:31:40]
     30 │ {{ material.text }}{{ material.close }}{% endblock %}
     31 │ {% block instructions %}Label event {{ taget.event }}: {% for l in field.label.labels %}{{ l.name }} {% endfor %}{% endblock %}
        ·                                        ──┬──
        ·                                          ╰── here
        ╰────
    hint: a template of a prompt task may use: task, title, fields, field, material, target, targets
    ");
    insta::assert_snapshot!(codebook("{{ target.event }}", "{{ session.prompts }}"), @"
    error: prompts/tone.md:31: unknown variable `session` in block `instructions`
        ╭─[prompts/tone.md:31:40]
     30 │ {{ material.text }}{{ material.close }}{% endblock %}
     31 │ {% block instructions %}Label event {{ session.prompts }}: {% for l in field.label.labels %}{{ l.name }} {% endfor %}{% endblock %}
        ·                                        ───┬───
        ·                                           ╰── here
        ╰────
    hint: a template of a prompt task may use: task, title, fields, field, material, target, targets
    ");
    insta::assert_snapshot!(codebook("{{ target.event }}", "{{ target.event"), @"
    error: prompts/tone.md:31: syntax error: unexpected `:`, expected end of variable block
        ╭─[prompts/tone.md:31:1]
     30 │ {{ material.text }}{{ material.close }}{% endblock %}
     31 │ {% block instructions %}Label event {{ target.event: {% for l in field.label.labels %}{{ l.name }} {% endfor %}{% endblock %}
        · ──────────────────────────────────────────────────────────────┬──────────────────────────────────────────────────────────────
        ·                                                               ╰── here
        ╰────
    hint: a template of this task may use: task, title, fields, field, material, target, targets
    ");
    insta::assert_snapshot!(codebook("{% endfor %}", ""), @"
    error: prompts/tone.md:31: syntax error: unexpected end of input, expected end of block
        ╭─[prompts/tone.md:31:1]
     30 │ {{ material.text }}{{ material.close }}{% endblock %}
     31 │ {% block instructions %}Label event {{ target.event }}: {% for l in field.label.labels %}{{ l.name }} {% endblock %}
        · ──────────────────────────────────────────────────────────┬─────────────────────────────────────────────────────────
        ·                                                           ╰── here
        ╰────
    hint: a template of this task may use: task, title, fields, field, material, target, targets
    ");
    insta::assert_snapshot!(codebook("task = \"tone\"", "task = \"tones\""), @r#"
    error: prompts/tone.md:2: task = "tones" does not match the file name `tone.md`
       ╭─[prompts/tone.md:2:8]
     1 │ +++
     2 │ task = "tones"
       ·        ───┬───
       ·           ╰── here
     3 │ title = "Tone"
       ╰────
    hint: a task is found by its file's name: rename one of the two
    "#);
    insta::assert_snapshot!(codebook("+++\n{% block material", "{% block material"), @"
    error: prompts/tone.md:31: the front matter has no closing `+++`
        ╭─[prompts/tone.md:31:1]
     30 │ {% block instructions %}Label event {{ target.event }}: {% for l in field.label.labels %}{{ l.name }} {% endfor %}{% endblock %}
        ╰────
    hint: a codebook begins with TOML between two lines `+++`, then the prompt's template
    ");
    insta::assert_snapshot!(codebook("curt = \"harsh\"", "crut = \"harsh\""), @r#"
    error: prompts/tone.md:27: collapse `binary` maps `crut`, which is no label
        ╭─[prompts/tone.md:27:7]
     26 │ name = "binary"
     27 │ map = { rough = "harsh", crut = "harsh", calm = "calm" }
        ·       ─────────────────────────┬────────────────────────
        ·                                ╰── here
     28 │ +++
        ╰────
    "#);
}

#[test]
fn a_template_that_fails_on_a_unit_is_named_with_its_line() {
    for (wrong, what) in [
        ("{{ target.evnt.x }}", "undefined value"),
        ("{% include \"_none.md\" %}", "_none.md"),
        ("{{ field.lable.labels }}", "undefined value"),
    ] {
        let text = TONE.replacen("{{ target.event }}", wrong, 1);
        let line = text.lines().position(|line| line.contains(wrong)).unwrap() + 1;
        let err = said(
            move |project| {
                project.write("prompts/tone.md", text);
            },
            &["annotate", "tone", "--quiet"],
        );
        assert!(first_line(&err).starts_with(&format!("error: prompts/tone.md:{line}: ")), "{err}");
        assert!(first_line(&err).contains(what), "{err}");
    }
}

#[test]
fn a_mistake_in_the_gold_is_named_with_file_and_line() {
    let gold = |row: &'static str| {
        let spoil = move |project: &Project| {
            project.write("gold/tone.csv", format!("{GOLD}{row}\n"));
        };
        let (annotate, agree) =
            (said(spoil, &["annotate", "tone", "--quiet"]), said(spoil, &["agree", "--task", "tone"]));
        assert_eq!(annotate, agree, "both verbs say the same");
        agree
    };
    insta::assert_snapshot!(gold("codex:s2#1,gold,clam,dev"), @r#"
    error: gold/tone.csv:4: rater `gold`, unit `codex:s2#1`: field `label` is "clam"; it must be one of rough, curt, calm
    hint: correct the cell, or leave it empty if it is missing
    "#);
    insta::assert_snapshot!(gold("codex:s2#9,gold,calm,dev"), @"
    error: gold/tone.csv:4: unknown unit `codex:s2#9`
    hint: the session is there, but has no such prompt; `interrater sessions` shows how many it has
    ");
    insta::assert_snapshot!(gold("codex:zz#1,gold,calm,dev"), @"
    error: gold/tone.csv:4: unknown unit `codex:zz#1`
    hint: no such session in [input] sessions of the configuration, nor in a run; correct the id or name the transcripts there
    ");
    insta::assert_snapshot!(gold("codex:s2,gold,calm,dev"), @"
    error: gold/tone.csv:4: `codex:s2` is no prompt unit
    hint: prompts are `agent:session-id#n`, sessions `agent:session-id`
    ");
    insta::assert_snapshot!(gold("codex:s2#1,gold,calm,train"), @"
    error: gold/tone.csv:4: `train` is no split
    hint: a split is dev, test or empty
    ");
    insta::assert_snapshot!(gold("codex:s2#1,gold,calm"), @"
    error: gold/tone.csv:4: this row has 3 cells, the header has 4
    hint: gold files are comma-separated with a header; a cell with a comma or a line break stands in double quotes
    ");
    insta::assert_snapshot!(gold("codex:s2#1,,calm,dev"), @"
    error: gold/tone.csv:4: a row needs a unit and a rater
    hint: fill in both cells
    ");
    insta::assert_snapshot!(gold("codex:s0#1,gold,curt,dev"), @"
    error: gold/tone.csv:4: rater `gold` answers `codex:s0#1` again, and differently (line 2)
    hint: keep one of the two lines
    ");
    insta::assert_snapshot!(gold("codex:s2#1,gold,\"calm,dev"), @"
    error: gold/tone.csv:4: the double quote that opens here is never closed
    hint: gold files are comma-separated with a header; a cell with a comma or a line break stands in double quotes
    ");
    let header = said(
        |project| {
            project.write("gold/tone.csv", "unit,rater,lable\n");
        },
        &["annotate", "tone", "--quiet"],
    );
    insta::assert_snapshot!(header, @"
    error: gold/tone.csv:1: unknown column `lable`
    hint: columns of this task: unit, rater, reason, label, session, split, probability, stratum, note, date
    ");
}

#[test]
fn words_on_the_command_line_that_mean_nothing_are_refused() {
    insta::assert_snapshot!(said(untouched, &["annotate", "tune"]), @"
    error: there is no codebook for task `tune` in prompts
    hint: known tasks: effort, tone
    ");
    for threshold in ["nonsense", "kappa", "kappa=high", "kapa=0.5", "=1", "kappa=NaN", "kappa=inf"] {
        let err = said(untouched, &["annotate", "tone", "--fail-under", threshold]);
        assert_eq!(
            err,
            format!("error: `{threshold}` is no threshold\nhint: write kappa=0.6, percent=0.8 or icc=0.5\n")
        );
    }
    for args in [
        &["annotate", "--limit", "0"][..],
        &["annotate", "--shuffle", "1"],
        &["annotate", "--samples", "0"],
        &["annotate", "--concurrency", "0"],
        &["annotate", "--refresh", "--retry-failed"],
        &["annotate", "--colour"],
        &["anotate"],
        &["agree", "--task", "tone", "--labels", "a,b"],
        &["agree", "--task", "tone", "--replicates", "10"],
    ] {
        said(untouched, args);
    }
    insta::assert_snapshot!(said(untouched, &["annotate", "--sessions", "nowhere"]), @"
    error: no such file or folder: nowhere
    hint: check the path, or name other transcripts with --sessions PATH
    ");
    insta::assert_snapshot!(said(untouched, &["runs", "nope"]), @"
    error: there is no run `nope` in runs
    hint: `interrater runs` lists the runs that there are
    ");
}

#[test]
fn damaged_files_of_a_run_are_named_with_their_line() {
    let project = good();
    let run = project.run_name("tone-");
    let rows = project.read(&format!("runs/{run}/annotations.jsonl"));
    let (first, rest) = rows.split_once('\n').unwrap();
    project.write(&format!("runs/{run}/annotations.jsonl"), format!("{first}\n{{\"unit\": 1}}\n{rest}"));
    let said = project.refused(&["agree", "--task", "tone", "--run", &run]);
    assert!(first_line(&said).starts_with(&format!("error: runs/{run}/annotations.jsonl:2: ")), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
    project.write(&format!("runs/{run}/manifest.json"), "{}");
    let said = project.refused(&["runs", &run]);
    assert!(first_line(&said).starts_with(&format!("error: runs/{run}/manifest.json:")), "{said}");
}

#[test]
fn numbers_that_mean_nothing_are_errors_at_their_line() {
    let context = Context::with_sessions(1, 1);
    for (line, said) in [
        ("[provider.openai]\nrpm = 0", "has to be 1 or more"),
        ("[annotate]\ntimeout = 0", "has to be 1 or more"),
        ("[annotate]\nconcurrency = 0", "has to be 1 or more"),
        ("[price.\"openai/m\"]\noutput = 1.0\ninput = -1.0", "a price is 0 or more"),
        ("[price.\"openai/m\"]\noutput = 1.0\ninput = nan", "a price is 0 or more"),
        ("[price.\"openai/m\"]\ninput = 1.0\noutput = 1.0\ncached_input = inf", "a price is 0 or more"),
        ("[price.\"openai/m\"]\ninput = 1.0\noutput = 1.0\nbatch_discount = 1.5", "has to be from 0 to 1"),
    ] {
        context.write("config.toml", &format!("[input]\nsessions = [\"sessions\"]\n{line}\n"));
        let ended = context.run(&["annotate"]).with(2);
        let last = 2 + line.lines().count();
        let place = format!("config.toml:{last}:");
        assert!(ended.stderr.contains(said) && ended.stderr.contains(&place), "{line}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_of_codebooks_that_is_named_has_to_be_there() {
    let context = Context::with_sessions(1, 1);
    context.write("config.toml", "[input]\nsessions = [\"sessions\"]\n[paths]\nprompts = \"nowhere\"\n");
    let ended = context.run(&["annotate"]).with(2);
    assert!(ended.stderr.contains("nowhere with codebooks"), "{}", ended.stderr);
}
