//! The words that files and tables have for the kinds of events and their parts: those that serde writes.

use super::{Channel, EventBody, InjectedSource, ToolCategory, ToolOutcome};

impl EventBody {
    /// The kind of event, such as `tool_call`.
    pub fn name(&self) -> &'static str {
        match self {
            EventBody::Prompt(_) => "prompt",
            EventBody::Reply { .. } => "reply",
            EventBody::ToolCall(_) => "tool_call",
            EventBody::ToolResult(_) => "tool_result",
            EventBody::Interruption { .. } => "interruption",
            EventBody::Injected { .. } => "injected",
            EventBody::Compaction { .. } => "compaction",
            EventBody::Rewind { .. } => "rewind",
            EventBody::Commit { .. } => "commit",
            EventBody::ClientError { .. } => "client_error",
        }
    }
}

impl Channel {
    /// The word in files, such as `slash_command`.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Typed => "typed",
            Channel::SlashCommand => "slash_command",
            Channel::Shell => "shell",
            Channel::Steering => "steering",
            Channel::Rejection => "rejection",
        }
    }
}

impl ToolCategory {
    /// The word in files, such as `research`.
    pub fn name(self) -> &'static str {
        match self {
            ToolCategory::Research => "research",
            ToolCategory::Edit => "edit",
            ToolCategory::Verify => "verify",
            ToolCategory::Git => "git",
            ToolCategory::Plan => "plan",
            ToolCategory::Delegate => "delegate",
            ToolCategory::Shell => "shell",
            ToolCategory::Other => "other",
        }
    }
}

impl ToolOutcome {
    /// The word in files, such as `failed`.
    pub fn name(self) -> &'static str {
        match self {
            ToolOutcome::Ok => "ok",
            ToolOutcome::Failed => "failed",
            ToolOutcome::Rejected => "rejected",
            ToolOutcome::Interrupted => "interrupted",
        }
    }
}

impl InjectedSource {
    /// The word in files, such as `command_output`.
    pub fn name(self) -> &'static str {
        match self {
            InjectedSource::Harness => "harness",
            InjectedSource::Notification => "notification",
            InjectedSource::Skill => "skill",
            InjectedSource::CommandOutput => "command_output",
            InjectedSource::Hook => "hook",
            InjectedSource::AcceptedPlan => "accepted_plan",
            InjectedSource::Answers => "answers",
            InjectedSource::Context => "context",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    fn serde_name(value: impl Serialize) -> String {
        serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn the_words_are_those_that_serde_writes() {
        for one in [Channel::Typed, Channel::SlashCommand, Channel::Shell, Channel::Steering, Channel::Rejection] {
            assert_eq!(one.name(), serde_name(one));
        }
        for one in [
            ToolCategory::Research,
            ToolCategory::Edit,
            ToolCategory::Verify,
            ToolCategory::Git,
            ToolCategory::Plan,
            ToolCategory::Delegate,
            ToolCategory::Shell,
            ToolCategory::Other,
        ] {
            assert_eq!(one.name(), serde_name(one));
        }
        for one in [ToolOutcome::Ok, ToolOutcome::Failed, ToolOutcome::Rejected, ToolOutcome::Interrupted] {
            assert_eq!(one.name(), serde_name(one));
        }
        for one in [
            InjectedSource::Harness,
            InjectedSource::Notification,
            InjectedSource::Skill,
            InjectedSource::CommandOutput,
            InjectedSource::Hook,
            InjectedSource::AcceptedPlan,
            InjectedSource::Answers,
            InjectedSource::Context,
        ] {
            assert_eq!(one.name(), serde_name(one));
        }
    }
}
