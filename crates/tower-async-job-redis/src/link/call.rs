use bytes::Bytes;
use redis::Cmd;

use crate::script::Script;

/// A run of a script: its keys, all of which are declared, and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    arguments: Vec<Bytes>,
}

impl Call {
    /// Creates a call; the clock is the first argument of every script.
    pub(crate) fn new(script: &'static Script, keys: Vec<String>, clock: String) -> Self {
        Self {
            script,
            keys,
            arguments: vec![clock.into()],
        }
    }

    pub(crate) fn arg(mut self, argument: impl Into<Bytes>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn text(self, argument: &str) -> Self {
        self.arg(Bytes::copy_from_slice(argument.as_bytes()))
    }

    pub(crate) fn number(self, argument: impl ToString) -> Self {
        self.arg(argument.to_string())
    }

    /// Adds a mark: an empty argument is false.
    pub(crate) fn mark(self, argument: bool) -> Self {
        self.arg(if argument { "1" } else { "" })
    }

    /// Adds a number, or an empty argument.
    pub(crate) fn optional(self, argument: Option<impl ToString>) -> Self {
        self.arg(argument.map_or_else(String::new, |argument| argument.to_string()))
    }

    /// Adds the name and the value of a field.
    pub(crate) fn field(self, name: &'static str, value: impl Into<Bytes>) -> Self {
        self.arg(name).arg(value)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.script.name
    }

    /// Returns a number that is the same for all calls with the same first key.
    pub(super) fn spread(&self) -> usize {
        let key = self.keys.first().map_or("", String::as_str);
        key.bytes().rev().take(2).map(usize::from).sum()
    }

    /// Returns the command that runs the script by its hash, or by its text.
    pub(super) fn command(&self, by_hash: bool) -> Cmd {
        let mut command = redis::cmd(if by_hash { "EVALSHA" } else { "EVAL" });
        command.arg(if by_hash {
            &self.script.hash
        } else {
            &self.script.source
        });
        command.arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(&argument[..]);
        }
        command
    }
}
