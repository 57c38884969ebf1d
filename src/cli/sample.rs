//! `sample`: what can be typed.

use clap::Args;
use std::path::PathBuf;

/// `sample`.
#[derive(Debug, Args)]
pub struct Sample {
    /// The task.
    pub task: String,
    /// Files, folders, globs with transcripts [default: those of the configuration].
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "What")]
    pub sessions: Vec<String>,
    /// How many units are expected to be drawn, those that the gold has included.
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "What", value_parser = clap::value_parser!(u64).range(1..))]
    pub size: u64,
    /// What is drawn more often: nothing (uniform); each label of a run alike (label:RUN); where runs disagree (disagreement:RUN,RUN).
    #[arg(long, value_name = "AIM", default_value = "uniform", help_heading = "What")]
    pub by: By,
    /// The field that --by looks at [default: the first that is measured].
    #[arg(long, value_name = "NAME", help_heading = "What")]
    pub field: Option<String>,
    /// With --by label or disagreement: the share of the draw that is uniform, so that no unit is left out for sure.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, help_heading = "How", value_parser = mix)]
    pub mix: f64,
    /// What the draw is made with: the same text draws the same units, and more of them with a larger --size.
    #[arg(long, visible_alias = "seed", value_name = "TEXT", default_value = "interrater", help_heading = "How")]
    pub salt: String,
    /// Share of the sessions that go into the test split; sessions that the gold has keep theirs.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, help_heading = "How", value_parser = share)]
    pub split_test: f64,
    /// Who will fill in the sheet: its column `rater`.
    #[arg(long, value_name = "NAME", default_value = "human", help_heading = "How")]
    pub rater: String,
    /// The sheet [default: TASK.sample.csv in the gold folder; none with --json]. Never overwritten.
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub out: Option<PathBuf>,
    /// Only say how many units are needed, such as kappa=0.7,halfwidth=0.1,prevalence=0.3,per-session=8,icc=0.1; draw nothing.
    #[arg(long, value_name = "PLAN", help_heading = "How", conflicts_with_all = ["sessions", "size", "by", "out"])]
    pub plan: Option<String>,
}

/// What is drawn more often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Nothing.
    Uniform,
    /// Each label of a run alike.
    Label(String),
    /// Where runs disagree.
    Disagreement(Vec<String>),
}

impl std::str::FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<By, String> {
        let runs =
            |text: &str| -> Vec<String> { text.split(',').filter(|run| !run.is_empty()).map(str::to_owned).collect() };
        match text.split_once(':') {
            None if text == "uniform" => Ok(By::Uniform),
            Some(("label", run)) if runs(run).len() == 1 => Ok(By::Label(run.to_owned())),
            Some(("disagreement", list)) if runs(list).len() >= 2 => Ok(By::Disagreement(runs(list))),
            _ => Err("write uniform, label:RUN, or disagreement:RUN,RUN with two runs or more".to_owned()),
        }
    }
}

/// A share from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a share is a number from 0 to 1, such as 0.5".to_owned()),
    }
}

/// A uniform share: without any, some units could never be drawn.
fn mix(text: &str) -> Result<f64, String> {
    match share(text)? {
        value if value > 0.0 => Ok(value),
        _ => Err("with 0 some units could never be drawn, and nothing could be said of them; 0.2 or more is advised"
            .to_owned()),
    }
}
