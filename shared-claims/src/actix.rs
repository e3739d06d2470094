use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};

use crate::{Admin, Guard, Member, Problem, clock};

/// For actix-web: needs the application data `web::Data<Guard>`; without it the answer is 500, and the log says why.
impl FromRequest for Member {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(guard) = request.app_data::<web::Data<Guard>>() else {
            log::error!("a route asks for a Member, but the application data holds no Guard");
            return ready(Err(Problem::internal()));
        };
        let authorizations = request.headers().get_all(AUTHORIZATION);
        let extras = guard.extra_header().into_iter().flat_map(|name| request.headers().get_all(name));
        ready(guard.admit(authorizations.map(HeaderValue::as_bytes), extras.map(HeaderValue::as_bytes), clock::now()))
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Member::from_request(request, payload).into_inner().and_then(Self::try_from))
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The problem travels with the response, so that a middleware that knows the request id can write it in.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in self.headers() {
            response.insert_header((*name, value.as_str()));
        }
        let mut response = response.content_type(Self::MEDIA_TYPE).body(self.body(None));
        response.extensions_mut().insert(self.clone());
        response
    }
}
