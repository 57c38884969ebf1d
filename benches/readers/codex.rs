//! Makes an invented rollout of Codex CLI of a given size; the rows' shares of the bytes are about those of real rollouts.

use crate::shares::Shares;
use crate::text::{Text, name};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::io::{self, Write};

/// Writes rows until there are `bytes` of them.
pub fn write(
    random: &mut ChaCha8Rng,
    text: &Text,
    bytes: usize,
    id: &str,
    shares: &mut Shares,
    out: &mut impl Write,
) -> io::Result<u64> {
    let mut rollout =
        Rollout { random, text, shares, out, written: 0, milliseconds: 1_780_000_000_000, input: 9000, output: 0 };
    let instructions = text.prose(rollout.random, 14_000);
    let meta = format!(
        "{{\"id\":\"{id}\",\"timestamp\":\"2026-05-28T20:26:40.000Z\",\"cwd\":\"/home/ada/projects/x\",\"originator\":\"codex-tui\",\
         \"cli_version\":\"0.142.0\",\"source\":\"cli\",\"model_provider\":\"openai\",\"base_instructions\":{{\"text\":\"{instructions}\"}}}}"
    );
    rollout.row("session_meta", &meta)?;
    while (rollout.written as usize) < bytes {
        rollout.turn()?;
    }
    Ok(rollout.written)
}

struct Rollout<'a, W> {
    random: &'a mut ChaCha8Rng,
    text: &'a Text,
    shares: &'a mut Shares,
    out: &'a mut W,
    written: u64,
    milliseconds: i64,
    /// Tokens so far.
    input: u64,
    output: u64,
}

impl<W: Write> Rollout<'_, W> {
    fn turn(&mut self) -> io::Result<()> {
        let text = self.text;
        self.row("turn_context", "{\"cwd\":\"/home/ada/projects/x\",\"approval_policy\":\"on-request\",\"model\":\"gpt-5.2-codex\",\"effort\":\"high\",\"summary\":\"auto\"}")?;
        let length = self.random.random_range(40..900);
        let asked = text.prose(self.random, length);
        self.row(
            "response_item",
            &format!("{{\"type\":\"message\",\"role\":\"user\",\"content\":[{{\"type\":\"input_text\",\"text\":\"{asked}\"}}]}}"),
        )?;
        self.row("event_msg", &format!("{{\"type\":\"user_message\",\"message\":\"{asked}\",\"images\":[]}}"))?;
        for _ in 0..self.random.random_range(4..20) {
            self.step()?;
        }
        let said = text.prose(self.random, 600);
        self.row("event_msg", &format!("{{\"type\":\"agent_message\",\"message\":\"{said}\"}}"))?;
        self.row(
            "response_item",
            &format!("{{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{{\"type\":\"output_text\",\"text\":\"{said}\"}}]}}"),
        )
    }

    /// A thought, a call, what it gave back, and the tokens so far.
    fn step(&mut self) -> io::Result<()> {
        let text = self.text;
        let encrypted = text.noise(self.random, 700);
        self.row(
            "response_item",
            &format!("{{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"{encrypted}\"}}"),
        )?;
        let call = format!("call_{}", text.noise(self.random, 24).replace(['+', '/'], "x"));
        let file = name(self.random);
        self.row(
            "response_item",
            &format!(
                "{{\"type\":\"function_call\",\"name\":\"exec_command\",\"arguments\":\"{{\\\"cmd\\\":\\\"sed -n '1,200p' src/{file}.rs\\\",\
                 \\\"max_output_tokens\\\":6000}}\",\"call_id\":\"{call}\"}}"
            ),
        )?;
        let length = (4200.0 * -self.random.random_range(0.02..1.0f64).ln()) as usize + 40;
        let output = text.code(self.random, length);
        let code = if self.random.random_range(0..20) == 0 { 1 } else { 0 };
        self.row(
            "response_item",
            &format!(
                "{{\"type\":\"function_call_output\",\"call_id\":\"{call}\",\"output\":\"Chunk ID: 1a2b3c\\nWall time: 0.05 seconds\\n\
                 Process exited with code {code}\\nOutput:\\n{output}\"}}"
            ),
        )?;
        self.input += 9000;
        self.output += 210;
        let (input, output, total) = (self.input, self.output, self.input + self.output);
        self.row(
            "event_msg",
            &format!(
                "{{\"type\":\"token_count\",\"info\":{{\"total_token_usage\":{{\"input_tokens\":{input},\"cached_input_tokens\":{cached},\
                 \"output_tokens\":{output},\"reasoning_output_tokens\":90,\"total_tokens\":{total}}},\"last_token_usage\":{{\
                 \"input_tokens\":9000,\"cached_input_tokens\":8000,\"output_tokens\":210,\"reasoning_output_tokens\":90,\
                 \"total_tokens\":9210}},\"model_context_window\":258400}},\"rate_limits\":{{\"primary\":{{\"used_percent\":3.0}}}}}}",
                cached = input / 10 * 9,
            ),
        )
    }

    fn row(&mut self, kind: &str, payload: &str) -> io::Result<()> {
        self.milliseconds += self.random.random_range(20..6000);
        let at = jiff::Timestamp::from_millisecond(self.milliseconds).map(|at| format!("{at:.3}")).unwrap_or_default();
        let row = format!("{{\"timestamp\":\"{at}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n");
        self.shares.add("codex", row.len());
        self.written += row.len() as u64;
        self.out.write_all(row.as_bytes())
    }
}
