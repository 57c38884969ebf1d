//! The rows of a Claude Code transcript as far as they matter here.
//!
//! Text is borrowed from the line where it can be; what is not named here (images, thinking and its signatures, snapshots) is
//! skipped without being built, and structured copies of tool results stay text. No field's type makes a row unreadable: clients of
//! many versions and gateways wrote these files.

use super::super::pull::Pull;
use std::borrow::Cow;

type Result<T> = std::result::Result<T, serde_json::Error>;

/// One line.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    pub kind: Word<'a>,
    pub uuid: Word<'a>,
    pub parent: Word<'a>,
    pub timestamp: Word<'a>,
    pub sidechain: bool,
    pub meta: bool,
    pub compact_summary: bool,
    pub api_error: bool,
    pub origin: Option<Origin<'a>>,
    pub plan: bool,
    pub request: Word<'a>,
    pub source_row: Word<'a>,
    pub denial: Word<'a>,
    pub structured_result: Option<&'a str>,
    pub message: Option<Message<'a>>,
    /// Of `system` rows.
    pub subtype: Word<'a>,
    pub retry: u64,
    pub error: Option<&'a str>,
    /// Of `queue-operation` rows.
    pub operation: Word<'a>,
    /// Of `system` and `queue-operation` rows.
    pub content: Content<'a>,
    pub attachment: Option<Attachment<'a>>,
    /// Of `progress` rows.
    pub progress: Option<Progress<'a>>,
}

/// Who made a user row, in newer versions.
#[derive(Debug, Default)]
pub(super) struct Origin<'a> {
    pub kind: Word<'a>,
}

/// The message of an API call, or a piece of it.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub id: Word<'a>,
    pub model: Word<'a>,
    pub content: Content<'a>,
    pub usage: Option<Tokens>,
}

/// Tokens as the provider counts them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tokens {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
}

/// What the client attaches to a conversation.
#[derive(Debug, Default)]
pub(super) struct Attachment<'a> {
    pub kind: Word<'a>,
    pub prompt: Content<'a>,
    pub mode: Word<'a>,
    pub origin: Option<Origin<'a>>,
    pub meta: bool,
    pub content: Content<'a>,
    pub filename: Word<'a>,
    pub hook_event: Word<'a>,
}

/// A sign of life during a call; subagents of older versions speak in these.
#[derive(Debug, Default)]
pub(super) struct Progress<'a> {
    pub kind: Word<'a>,
    pub message: Option<ProgressMessage<'a>>,
    pub hook_event: Word<'a>,
}

/// A subagent's row within a progress row.
#[derive(Debug, Default)]
pub(super) struct ProgressMessage<'a> {
    pub uuid: Word<'a>,
}

/// One block of a message, or one part of a tool result.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub kind: Word<'a>,
    pub text: Word<'a>,
    pub id: Word<'a>,
    pub name: Word<'a>,
    pub input: Option<&'a str>,
    pub tool_use_id: Word<'a>,
    pub tool_name: Word<'a>,
    pub content: Content<'a>,
    pub is_error: bool,
}

/// A text or a list of blocks.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Blocks(Vec<Block<'a>>),
}

impl Content<'_> {
    /// The text, or the text blocks joined by line ends; images and tools by name.
    pub fn joined(self) -> String {
        let blocks = match self {
            Content::Nothing => return String::new(),
            Content::Text(text) => return text.into_owned(),
            Content::Blocks(blocks) => blocks,
        };
        let mut joined = String::new();
        for block in blocks {
            let part = match block.kind.get() {
                "image" => "[image]".to_owned(),
                "document" => "[document]".to_owned(),
                "tool_reference" => block.tool_name.into_text(),
                _ => block.text.into_text(),
            };
            if joined.is_empty() {
                joined = part;
            } else if !part.is_empty() {
                joined.push('\n');
                joined.push_str(&part);
            }
        }
        joined
    }

    /// The text, or the text blocks joined by blank lines, and nothing of anything else.
    pub fn words(self) -> String {
        match self {
            Content::Blocks(blocks) => {
                let texts =
                    blocks.iter().filter(|block| matches!(block.kind.get(), "text" | "")).map(|block| block.text.get());
                texts.collect::<Vec<_>>().join("\n\n")
            }
            _ => self.joined(),
        }
    }

    /// The text where there is one.
    pub fn text(self) -> Option<String> {
        match self {
            Content::Nothing => None,
            _ => Some(self.joined()),
        }
    }

    /// How many images it holds.
    pub fn images(&self) -> u32 {
        match self {
            Content::Blocks(blocks) => blocks.iter().map(|block| u32::from(block.kind.get() == "image")).sum(),
            _ => 0,
        }
    }
}

/// A string, or a number as one; none for anything else.
#[derive(Debug, Default, Clone)]
pub(super) struct Word<'a>(Option<Cow<'a, str>>);

impl<'a> Word<'a> {
    /// Takes a value.
    pub fn read(pull: &mut Pull<'a>) -> Result<Word<'a>> {
        Ok(Word(match pull.peek()? {
            b'"' => Some(pull.string()?),
            b'-' | b'0'..=b'9' => pull.raw()?.filter(|number| is_whole(number)).map(Cow::Borrowed),
            _ => {
                pull.skip()?;
                None
            }
        }))
    }

    /// The text, empty where there is none.
    pub fn get(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text by itself.
    pub fn into_text(self) -> String {
        self.0.unwrap_or_default().into_owned()
    }

    /// The text where there is one that is not empty.
    pub fn some(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

fn is_whole(number: &str) -> bool {
    number.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9'))
}

/// Takes a count, also one that is written as a string or a fraction; else 0.
fn count(pull: &mut Pull<'_>) -> Result<u64> {
    let count = match pull.peek()? {
        b'"' => pull.string()?.trim().parse().ok(),
        _ => pull.raw()?.and_then(|number| number.parse().ok().or_else(|| Some(number.parse::<f64>().ok()? as u64))),
    };
    Ok(count.unwrap_or_default())
}

/// Takes a value; whether it is true, also where it is written otherwise.
pub(super) fn flag(pull: &mut Pull<'_>) -> Result<bool> {
    Ok(match pull.peek()? {
        b'"' => pull.string()?.eq_ignore_ascii_case("true"),
        _ => match pull.raw()? {
            Some("true") => true,
            number => number.and_then(|number| number.parse().ok()).is_some_and(|number: u64| number != 0),
        },
    })
}

/// Takes a value; whether it is anything but null.
pub(super) fn present(pull: &mut Pull<'_>) -> Result<bool> {
    Ok(pull.raw()?.is_some())
}

/// Takes an object, and anything else as none; `each` takes the value of a member into what becomes of it.
fn object<'a, T: Default>(
    pull: &mut Pull<'a>,
    mut each: impl FnMut(&mut T, &str, &mut Pull<'a>) -> Result<()>,
) -> Result<Option<T>> {
    if pull.peek()? != b'{' {
        pull.skip()?;
        return Ok(None);
    }
    let mut object = T::default();
    pull.members(|pull, key| each(&mut object, key, pull))?;
    Ok(Some(object))
}

impl<'a> Row<'a> {
    /// Reads a line.
    pub fn read(line: &'a str) -> Result<Row<'a>> {
        let mut pull = Pull::new(line);
        let mut row = Row::default();
        pull.members(|pull, key| {
            match key {
                "type" => row.kind = Word::read(pull)?,
                "uuid" => row.uuid = Word::read(pull)?,
                "parentUuid" => row.parent = Word::read(pull)?,
                "timestamp" => row.timestamp = Word::read(pull)?,
                "isSidechain" => row.sidechain = flag(pull)?,
                "isMeta" => row.meta = flag(pull)?,
                "isCompactSummary" => row.compact_summary = flag(pull)?,
                "isApiErrorMessage" => row.api_error = flag(pull)?,
                "origin" => row.origin = Origin::read(pull)?,
                "planContent" => row.plan = present(pull)?,
                "requestId" => row.request = Word::read(pull)?,
                "sourceToolAssistantUUID" => row.source_row = Word::read(pull)?,
                "toolDenialKind" => row.denial = Word::read(pull)?,
                "toolUseResult" => row.structured_result = pull.raw()?,
                "message" => row.message = Message::read(pull)?,
                "subtype" => row.subtype = Word::read(pull)?,
                "retryAttempt" => row.retry = count(pull)?,
                "error" => row.error = pull.raw()?,
                "operation" => row.operation = Word::read(pull)?,
                "content" => row.content = Content::read(pull)?,
                "attachment" => row.attachment = Attachment::read(pull)?,
                "data" => row.progress = Progress::read(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })?;
        pull.end()?;
        Ok(row)
    }
}

impl<'a> Origin<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Option<Origin<'a>>> {
        object(pull, |origin: &mut Origin<'a>, key, pull| {
            match key {
                "kind" => origin.kind = Word::read(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

impl<'a> Message<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Option<Message<'a>>> {
        object(pull, |message: &mut Message<'a>, key, pull| {
            match key {
                "id" => message.id = Word::read(pull)?,
                "model" => message.model = Word::read(pull)?,
                "content" => message.content = Content::read(pull)?,
                "usage" => message.usage = Tokens::read(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

impl Tokens {
    pub fn read(pull: &mut Pull<'_>) -> Result<Option<Tokens>> {
        object(pull, |tokens: &mut Tokens, key, pull| {
            match key {
                "input_tokens" => tokens.input_tokens = count(pull)?,
                "output_tokens" => tokens.output_tokens = count(pull)?,
                "cache_creation_input_tokens" => tokens.cache_creation_input_tokens = count(pull)?,
                "cache_read_input_tokens" => tokens.cache_read_input_tokens = count(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

impl<'a> Attachment<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Option<Attachment<'a>>> {
        object(pull, |attachment: &mut Attachment<'a>, key, pull| {
            match key {
                "type" => attachment.kind = Word::read(pull)?,
                "prompt" => attachment.prompt = Content::read(pull)?,
                "commandMode" => attachment.mode = Word::read(pull)?,
                "origin" => attachment.origin = Origin::read(pull)?,
                "isMeta" => attachment.meta = flag(pull)?,
                "content" => attachment.content = Content::read(pull)?,
                "filename" => attachment.filename = Word::read(pull)?,
                "hookEvent" => attachment.hook_event = Word::read(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

impl<'a> Progress<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Option<Progress<'a>>> {
        object(pull, |progress: &mut Progress<'a>, key, pull| {
            match key {
                "type" => progress.kind = Word::read(pull)?,
                "message" => progress.message = ProgressMessage::read(pull)?,
                "hookEvent" => progress.hook_event = Word::read(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

impl<'a> ProgressMessage<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Option<ProgressMessage<'a>>> {
        object(pull, |message: &mut ProgressMessage<'a>, key, pull| {
            match key {
                "uuid" => message.uuid = Word::read(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

impl<'a> Content<'a> {
    /// Takes a value: a string, a list of blocks (a bare string among them is a text block), or one block.
    fn read(pull: &mut Pull<'a>) -> Result<Content<'a>> {
        Ok(match pull.peek()? {
            b'"' => Content::Text(pull.string()?),
            b'[' => {
                let mut blocks = Vec::new();
                pull.elements(|pull| {
                    match pull.peek()? {
                        b'"' => blocks.push(Block { kind: TEXT, text: Word::read(pull)?, ..Block::default() }),
                        _ => blocks.extend(Block::read(pull)?),
                    }
                    Ok(())
                })?;
                Content::Blocks(blocks)
            }
            _ => Block::read(pull)?.map_or(Content::Nothing, |block| Content::Blocks(vec![block])),
        })
    }
}

/// The type of a text block.
const TEXT: Word<'static> = Word(Some(Cow::Borrowed("text")));

impl<'a> Block<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Option<Block<'a>>> {
        object(pull, |block: &mut Block<'a>, key, pull| {
            match key {
                "type" => block.kind = Word::read(pull)?,
                "text" => block.text = Word::read(pull)?,
                "id" => block.id = Word::read(pull)?,
                "name" => block.name = Word::read(pull)?,
                "input" => block.input = pull.raw()?,
                "tool_use_id" => block.tool_use_id = Word::read(pull)?,
                "tool_name" => block.tool_name = Word::read(pull)?,
                "content" => block.content = Content::read(pull)?,
                "is_error" => block.is_error = flag(pull)?,
                _ => pull.skip()?,
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_another_type_does_not_cost_the_row() {
        for odd in ["null", "1", "-1", "1.5", "true", "\"x\"", "[1,\"a\",{}]", "{\"b\":[{}]}"] {
            let fields = [
                "type",
                "uuid",
                "parentUuid",
                "timestamp",
                "isSidechain",
                "isMeta",
                "isCompactSummary",
                "origin",
                "planContent",
                "message",
                "content",
                "attachment",
                "data",
                "toolUseResult",
                "error",
                "retryAttempt",
                "snapshot",
            ];
            let row = fields.map(|field| format!("\"{field}\":{odd}")).join(",");
            Row::read(&format!("{{{row}}}")).unwrap_or_else(|error| panic!("{odd}: {error}"));
            let inner = ["id", "model", "content", "usage"].map(|field| format!("\"{field}\":{odd}")).join(",");
            let tokens = format!("{{\"usage\":{{\"input_tokens\":{odd},\"output_tokens\":\"12\"}}}}");
            for message in [
                format!("{{{inner}}}"),
                tokens,
                format!("{{\"content\":[{odd},{{\"text\":{odd},\"content\":{odd}}}]}}"),
            ] {
                let row = format!("{{\"message\":{message}}}");
                Row::read(&row).unwrap_or_else(|error| panic!("{row}: {error}"));
            }
        }
    }

    #[test]
    fn content_is_a_text_or_blocks_and_images_are_named() {
        let row = Row::read(
            r#"{"content":"a","message":{"content":["x",{"type":"image","source":{"data":"…"}},{"type":"text","text":"y\n"}],
            "usage":{"input_tokens":"7","output_tokens":3.0}}}"#,
        )
        .unwrap();
        assert_eq!(row.content.joined(), "a");
        let message = row.message.unwrap();
        let tokens = message.usage.unwrap();
        assert_eq!((message.content.images(), message.content.joined().as_str()), (1, "x\n[image]\ny\n"));
        assert_eq!((tokens.input_tokens, tokens.output_tokens), (7, 3));
    }
}
