//! Text as XML carries it.

/// `text` for an attribute in double quotes, or between tags: comes back from an XML parser as it
/// was, except that characters XML 1.0 cannot carry at all become U+FFFD.
///
/// White space other than the blank is written as a reference, because a parser turns it into a
/// blank in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes one element: its start tag, attribute by attribute, then what is in it.
pub(super) struct Element {
    name: &'static str,
    start: String,
}

impl Element {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            start: format!("<{name}"),
        }
    }

    pub(super) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.start.push(' ');
        self.start.push_str(name);
        self.start.push_str("=\"");
        self.start.push_str(&escape(value));
        self.start.push('"');
        self
    }

    /// Written only where there is a value.
    pub(super) fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    /// `true` or `false`, written only where it is not `default`.
    pub(super) fn flag(self, name: &str, value: bool, default: bool) -> Self {
        if value == default {
            return self;
        }
        self.attribute(name, if value { "true" } else { "false" })
    }

    /// With `content`, which is XML already.
    pub(super) fn containing(mut self, content: &str) -> String {
        if content.is_empty() {
            return self.empty();
        }
        self.start.push('>');
        self.start.push_str(content);
        self.start.push_str("</");
        self.start.push_str(self.name);
        self.start.push('>');
        self.start
    }

    /// With `text`.
    pub(super) fn text(self, text: &str) -> String {
        self.containing(&escape(text))
    }

    /// With nothing in it.
    pub(super) fn empty(mut self) -> String {
        self.start.push_str("/>");
        self.start
    }
}
