//! Where traces go: an OTLP collector over HTTP.

use std::fmt;

use http::Uri;

/// The path of traces below a collector's address (OTLP specification, "OTLP/HTTP Request").
const TRACES_PATH: &str = "v1/traces";
/// The collector of all signals (OpenTelemetry specification, "OTLP Exporter configuration").
const VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The whole URL for traces; goes before [`VARIABLE`].
const TRACES_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// The URL to which traces are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesEndpoint(String);

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the address of a collector: write http://HOST:4318 or https://HOST, with a path \
     where it has one"
)]
pub struct BadEndpoint(String);

impl TracesEndpoint {
    /// From a collector's address such as `http://127.0.0.1:4318`; with a path of its own it is taken
    /// as the whole URL.
    ///
    /// # Errors
    /// It is not an `http` or `https` URL with a host.
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let uri = checked(text)?;
        Ok(match uri.path() {
            "" | "/" => Self(below(text)),
            _ => Self(text.to_owned()),
        })
    }

    /// From the variables that every OpenTelemetry program knows; `look` reads one. An empty value is
    /// like none.
    ///
    /// # Errors
    /// A variable is set and is no endpoint.
    pub fn from_variables(
        look: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadEndpoint> {
        let set = |name| look(name).filter(|value| !value.is_empty());
        if let Some(whole) = set(TRACES_VARIABLE) {
            checked(&whole)?;
            return Ok(Some(Self(whole)));
        }
        let Some(base) = set(VARIABLE) else {
            return Ok(None);
        };
        checked(&base)?;
        Ok(Some(Self(below(&base))))
    }

    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TracesEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(text: &str) -> Result<Uri, BadEndpoint> {
    let bad = || BadEndpoint(crate::config::shown(text));
    let uri: Uri = text.parse().map_err(|_| bad())?;
    let good = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty());
    good.then_some(uri).ok_or_else(bad)
}

fn below(base: &str) -> String {
    format!("{}/{TRACES_PATH}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gets_the_path_and_a_whole_url_keeps_its_own() {
        let url = |text| TracesEndpoint::parse(text).map(|endpoint| endpoint.0);
        let whole = "http://c:4318/v1/traces";
        assert_eq!(url("http://c:4318").unwrap(), whole);
        assert_eq!(url("http://c:4318/").unwrap(), whole);
        assert_eq!(url("https://c/otlp").unwrap(), "https://c/otlp");
        for bad in ["", "c:4318", "grpc://c:4317", "http://"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_mean_what_the_specification_says() {
        let of = |pairs: &'static [(&str, &str)]| {
            let found = TracesEndpoint::from_variables(|name| {
                let pair = pairs.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| (*value).to_owned())
            });
            found.map(|endpoint| endpoint.map(|endpoint| endpoint.0))
        };
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[(VARIABLE, "")]).unwrap(), None);
        let appended = Some("http://c:4318/x/v1/traces".to_owned());
        assert_eq!(of(&[(VARIABLE, "http://c:4318/x")]).unwrap(), appended);
        let whole = &[(VARIABLE, "http://c"), (TRACES_VARIABLE, "http://d/t")];
        assert_eq!(of(whole).unwrap(), Some("http://d/t".to_owned()));
        assert!(of(&[(VARIABLE, "nonsense")]).is_err());
    }
}
