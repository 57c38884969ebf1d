//! The report as one HTML file. Takes a [`Dossier`], gives a page that needs nothing else.

use crate::dossier::Dossier;
use crate::markup::{Markup, tag};

/// The page.
pub fn page(dossier: &Dossier) -> Markup {
    tag("html").text(&dossier.program).into()
}
