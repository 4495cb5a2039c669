//! A table in Markdown.

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) goal: &'static str,
    pub(crate) case: String,
    pub(crate) unit: &'static str,
    /// The measurement, or `None` if it was not possible.
    pub(crate) measured: Option<f64>,
    /// The peer and its measurement, in the same unit.
    pub(crate) peer: Option<(String, Option<f64>)>,
    pub(crate) limit: Limit,
}

/// The limit of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// No limit: the measurement is shown for comparison only.
    None,
    /// An absolute limit.
    Most(f64),
    /// A multiple of the peer's measurement.
    Ratio(f64),
}

impl Row {
    /// Returns the ratio of the measurement to that of the peer.
    fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        let ratio = self.measured? / (*peer)?;
        ratio.is_finite().then_some(ratio)
    }

    fn limit(&self) -> (String, String) {
        let (measured, limit, text) = match self.limit {
            Limit::None => return Default::default(),
            Limit::Most(most) => (self.measured, most, format!("≤ {}", number(most))),
            Limit::Ratio(most) => (self.ratio(), most, format!("≤ {most:.2} ×")),
        };
        let kept = match measured {
            None => String::new(),
            // Allows for the rounding of the shown number.
            Some(measured) if measured <= limit + 0.005 => "yes".to_owned(),
            Some(measured) if limit == 0.0 => format!("no, {} over", number(measured)),
            Some(measured) => format!("no, {:.0} % over", 100.0 * (measured / limit - 1.0)),
        };
        (text, kept)
    }
}

pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| goal | case | measured | peer | ratio | limit | kept |\n|---|---|---:|---|---:|---:|---|\n",
    );
    for row in rows {
        let measured = row.measured.map_or("–".to_owned(), number);
        let peer = match &row.peer {
            Some((name, Some(of_peer))) => format!("{name} {}", number(*of_peer)),
            Some((name, None)) => name.clone(),
            None => String::new(),
        };
        let ratio = row
            .ratio()
            .map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let (limit, kept) = row.limit();
        text.push_str(&format!(
            "| {} | {} | {measured} {} | {peer} | {ratio} | {limit} | {kept} |\n",
            row.goal, row.case, row.unit,
        ));
    }
    text
}

/// Formats a number with thousands separators, and small numbers with a fraction.
pub(crate) fn number(value: f64) -> String {
    let fraction = (value - value.round()).abs();
    if value.abs() < 100.0 && fraction >= 0.005 {
        return format!("{value:.2}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value.round() < 0.0 {
        text.insert(0, '-');
    }
    text
}
