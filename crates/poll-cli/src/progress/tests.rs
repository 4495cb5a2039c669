use std::{
    io,
    sync::{Arc, Mutex},
};

use indicatif::TermLike;

use super::*;

/// A terminal of 80 columns that records its last line.
#[derive(Clone, Debug, Default)]
struct Terminal(Arc<Mutex<String>>);

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        80
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.lock().unwrap().clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn bar_fits_80_columns_with_all_but_the_servers_own_text() {
    let terminal = Terminal::default();
    let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
    let bar = ProgressBar::with_draw_target(Some(100), target);
    let known = "running, 25 % (3 of 12); poll 104 in 1 min 30 s: ";
    for has_ratio in [true, false] {
        bar.set_style(style(has_ratio));
        bar.set_message(format!("{known}{}", "reading ".repeat(30)));
        bar.force_draw();
        let shown = terminal.0.lock().unwrap().trim_end().to_owned();
        assert!(shown.contains(known), "{shown:?}");
        assert!(shown.chars().count() <= 80, "{shown:?}");
    }
}

#[test]
fn styles_are_valid() {
    for template in [BAR, SPINNER] {
        assert!(ProgressStyle::with_template(template).is_ok());
    }
}
