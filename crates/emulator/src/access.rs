//! Who may ask a local endpoint: programs, and web pages of this machine. No web page of another site.
//!
//! A web page can have its reader's browser send requests to 127.0.0.1. Two headers that a page cannot choose tell such requests
//! apart: `Host` has the name that the browser has looked up, which shows DNS rebinding, and `Origin` has the page's own site. What
//! has no `Origin`, such as an image's URL, is told by the `Sec-Fetch-*` headers. Programs send none of them but `Host`.

use std::net::IpAddr;

use crate::http::Request;

/// The names by which an endpoint may be asked, beside IP addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Lower-case host names; `*` is all of them.
    names: Vec<String>,
}

impl Access {
    /// Allows requests for these host names as well, and requests of web pages that come from there. `*` allows all.
    #[must_use]
    pub fn with_names(names: &[String]) -> Access {
        Access { names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether the request may be answered; otherwise a sentence that says why not and what to do.
    pub(crate) fn check(&self, request: &Request) -> Result<(), String> {
        if self.names.iter().any(|name| name == "*") {
            return Ok(());
        }
        let hosts: Vec<_> = values(request, "host").collect();
        for host in &hosts {
            // An address was not looked up, so nobody else can have decided where the name leads.
            let name = host_name(host);
            if address(name).is_none() && !self.is_ours(name) {
                return Err(format!(
                    "Host {host:?} is neither an IP address nor localhost. If {name:?} is a name of this machine, pass \
                     `--allow-host {name}`."
                ));
            }
        }
        let mut origins = values(request, "origin").peekable();
        if origins.peek().is_none() && is_of_another_site(request) {
            return Err("A web page of another site has sent this request.".to_owned());
        }
        for origin in origins {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            let name = authority.map(host_name).unwrap_or_default();
            let is_local = address(name).is_some_and(|address| address.is_loopback()) || self.is_ours(name);
            // The page may come from the very endpoint that it asks, by whatever address that has.
            if !is_local && authority.is_none_or(|authority| !hosts.iter().any(|host| host == authority)) {
                let remedy = if name.is_empty() { "*" } else { name };
                return Err(format!(
                    "A web page of another site, {origin:?}, has sent this request. If that site may call the function, pass \
                     `--allow-host '{remedy}'`."
                ));
            }
        }
        Ok(())
    }

    fn is_ours(&self, name: &str) -> bool {
        // Browsers and resolvers keep `localhost` and all below it on the machine (RFC 6761).
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
    }
}

/// Whether a browser says that a page of another site asks for something that is not to be a page of its own: following a link, or
/// coming back from an identity provider, is what a Function URL is for.
fn is_of_another_site(request: &Request) -> bool {
    let field = |name: &str| request.header(name).unwrap_or_default().to_ascii_lowercase();
    let follows_link = request.method == "GET"
        && field("sec-fetch-mode") == "navigate"
        && matches!(field("sec-fetch-dest").as_str(), "document" | "");
    field("sec-fetch-site") == "cross-site" && !follows_link
}

/// All values of a header: a second one must not hide behind the first.
fn values(request: &Request, name: &str) -> impl Iterator<Item = String> {
    let found = request.headers.iter().filter(move |(written, _)| written.eq_ignore_ascii_case(name));
    found.map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned())
}

/// The host of HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT.
fn host_name(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn address(name: &str) -> Option<IpAddr> {
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::Access;
    use crate::http::Request;

    fn request(method: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: method.to_owned(),
            path: "/".to_owned(),
            version: "HTTP/1.1",
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            body: Vec::new(),
            trailers: Vec::new(),
            arrived: Instant::now(),
            chunks: Vec::new(),
            wanted: None,
            complete: true,
            limit: 0,
            too_large: false,
        }
    }

    fn is_allowed(method: &str, headers: &[(&str, &str)], names: &[&str]) -> bool {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Access::with_names(&names).check(&request(method, headers)).is_ok()
    }

    #[test]
    fn programs_and_pages_of_this_machine_may_ask() {
        let allowed: [&[(&str, &str)]; 10] = [
            &[],
            &[("Host", "127.0.0.1:9000")],
            &[("Host", "192.168.1.7")],
            &[("Host", "[::1]:9000")],
            &[("Host", "LOCALHOST:9000")],
            &[("Host", "shop.localhost:9000"), ("Origin", "http://shop.localhost:3000")],
            &[("Host", "127.0.0.1:9000"), ("Origin", "http://localhost:5173"), ("Sec-Fetch-Site", "cross-site")],
            &[("Host", "127.0.0.1:9000"), ("Origin", "http://[::1]:5173")],
            &[("Host", "192.168.1.7:9000"), ("Origin", "http://192.168.1.7:9000")],
            &[("Host", "127.0.0.1:9000"), ("Sec-Fetch-Site", "same-origin")],
        ];
        for headers in allowed {
            assert!(is_allowed("POST", headers, &[]), "{headers:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_and_names_that_somebody_else_owns_may_not() {
        let refused: [&[(&str, &str)]; 10] = [
            &[("Host", "rebound.example:9000")],
            &[("Host", "127.0.0.1.rebound.example")],
            &[("Host", "localhost.example")],
            &[("Host", "127.0.0.1"), ("Host", "rebound.example")],
            &[("Host", "")],
            &[("Host", "127.0.0.1:9000"), ("Origin", "https://site.example")],
            &[("Host", "127.0.0.1:9000"), ("Origin", "http://203.0.113.5")],
            &[("Host", "127.0.0.1:9000"), ("Origin", "http://localhost"), ("Origin", "http://site.example")],
            &[("Host", "127.0.0.1:9000"), ("Origin", "null")],
            &[("Host", "127.0.0.1:9000"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
        ];
        for headers in refused {
            assert!(!is_allowed("POST", headers, &[]), "{headers:?}");
        }
    }

    #[test]
    fn a_link_may_be_followed_and_an_image_not_be_fetched() {
        let from_another_site = |mode, destination| {
            let headers = [
                ("Host", "localhost:9001"),
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Mode", mode),
                ("Sec-Fetch-Dest", destination),
            ];
            is_allowed("GET", &headers, &[])
        };
        assert!(from_another_site("navigate", "document"));
        assert!(!from_another_site("navigate", "iframe"));
        assert!(!from_another_site("no-cors", "image"));
    }

    #[test]
    fn a_name_that_was_allowed_may_be_asked_and_its_pages_may_ask() {
        let headers = [("Host", "lambda:9000"), ("Origin", "http://LAMBDA:3000")];
        assert!(is_allowed("POST", &headers, &["Lambda"]));
        assert!(!is_allowed("POST", &headers, &["other"]));
        assert!(is_allowed("POST", &[("Host", "rebound.example"), ("Origin", "null")], &["*"]));
    }
}
