/// The future behind the extractors: checks the token again at the end of a body.
mod admission;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};

use self::admission::Admission;
use crate::{Admin, BearerAuth, Member, Problem, clock};

/// The extractor for actix-web. It needs the application data `web::Data<BearerAuth>`; without it each response is 500,
/// and the log names the reason.
///
/// A body may arrive long after the head, so the token is checked again when the body is complete. Name the member
/// before the body's extractor: if the token was revoked meanwhile, the response is 401 and the handler does not run. A
/// handler that reads `web::Payload` itself gets an error at the end of the stream instead. A custom body extractor
/// that may come before the member must call [`BearerAuth::recheck_sender`].
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use shared_claims::Member;
///
/// async fn add(member: Member, order: web::Json<String>) -> HttpResponse {
///     HttpResponse::Created().body(format!("{} for {}", order.0, member.username))
/// }
/// ```
impl FromRequest for Member {
    type Error = Problem;
    type Future = Admission<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let Some(auth) = request.app_data::<web::Data<BearerAuth>>() else {
            log::error!("a route asks for a Member, but the application data holds no BearerAuth");
            return Admission::decided(Err(Problem::internal()));
        };
        let values = |name: &str| request.headers().get_all(name).map(HeaderValue::as_bytes);
        match auth.authenticate(values, clock::now()) {
            Ok(member) if has_body(request, payload) => {
                request.extensions_mut().insert(member.clone());
                Admission::until_complete(member, auth.clone(), payload)
            }
            decision => Admission::decided(decision),
        }
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Admission<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Member::from_request(request, payload).and_then(Self::try_from)
    }
}

/// True if the request has a body, even one that another extractor has already taken.
fn has_body(request: &HttpRequest, payload: &Payload) -> bool {
    let headers = request.headers();
    !matches!(payload, Payload::None) || headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

impl BearerAuth {
    /// Checks the member of `request` again, if the request has a body and a member. For extractors that read bodies:
    /// they may return what they read only if the token is still valid.
    ///
    /// # Errors
    /// As [`BearerAuth::recheck`].
    pub fn recheck_sender(request: &HttpRequest) -> Result<(), Problem> {
        match (request.extensions().get::<Member>(), request.app_data::<web::Data<Self>>()) {
            (Some(member), Some(auth)) => auth.recheck(member, clock::now()),
            _ => Ok(()),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The problem is also stored in the response's extensions, so that a middleware can add the request id.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in self.headers() {
            response.insert_header((*name, &**value));
        }
        let mut response = response.content_type(self.media_type()).body(self.body(None));
        response.extensions_mut().insert(self.clone());
        response
    }
}
