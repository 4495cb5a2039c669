//! A table in Markdown.

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) goal: &'static str,
    pub(crate) case: &'static str,
    pub(crate) unit: &'static str,
    /// `None` where it could not be measured.
    pub(crate) measured: Option<f64>,
    /// At most so much; `None` where it is told for comparison only.
    pub(crate) limit: Option<f64>,
    pub(crate) peer: String,
}

impl Row {
    fn kept(&self) -> String {
        let (Some(measured), Some(limit)) = (self.measured, self.limit) else {
            return String::new();
        };
        let over = measured - limit;
        // Half a step of what is shown does not count.
        if over <= 0.005 {
            return "yes".to_owned();
        }
        if limit == 0.0 {
            return format!("no, {} over", number(over));
        }
        format!("no, {} over ({:.0} %)", number(over), 100.0 * over / limit)
    }
}

pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| goal | case | measured | goal | kept | peer |\n|---|---|---:|---:|---|---|\n",
    );
    for row in rows {
        let measured = row.measured.map_or("–".to_owned(), number);
        let limit = row
            .limit
            .map_or(String::new(), |limit| format!("≤ {}", number(limit)));
        text.push_str(&format!(
            "| {} | {} | {measured} {} | {limit} | {} | {} |\n",
            row.goal,
            row.case,
            row.unit,
            row.kept(),
            row.peer,
        ));
    }
    text
}

/// With thousands apart, and with a fraction only where it is small enough to matter.
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
