"""A third service in FastAPI. It reads AUTH_URL, TOKEN_ISSUER, and ACCESS_TOKEN_SECRET if auth-service signs with it.

auth-service must list orders-service in ACCESS_TOKEN_AUDIENCE. Start it with `uvicorn main:app --port 5000`.
"""

import asyncio
import os
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ValidationError

from tokens import AccessTokens, Refused

tokens = AccessTokens(
    os.environ.get("AUTH_URL", "http://localhost:3000"),
    audience="orders-service",
    issuer=os.environ.get("TOKEN_ISSUER", "auth-service"),
    secret=os.environ.get("ACCESS_TOKEN_SECRET"),
)


@asynccontextmanager
async def lifespan(_):
    began = asyncio.Event()
    follower = asyncio.create_task(tokens.follow(began))
    await began.wait()
    yield
    follower.cancel()


app = FastAPI(lifespan=lifespan, default_response_class=PlainTextResponse)


async def member(request: Request):
    # Two headers, joined, have no valid token.
    return tokens.verify(", ".join(request.headers.getlist("Authorization")))


Member = Annotated[dict, Depends(member)]


class Order(BaseModel):
    item: str


async def order(request: Request, _: Member):
    """Reads the body. A parameter of type `Order` would be read before the token is verified, whatever its length."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > 64 << 10:
            raise HTTPException(413, "the body is longer than 64 KB")
    await member(request)  # Again: the token may be revoked while the body arrives.
    try:
        return Order.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, "the body is not an order") from error


@app.exception_handler(Refused)
async def refused(_, why):
    challenge = f'Bearer error="invalid_token", error_description="{why.detail}"'
    headers = {"Retry-After": "1"} if why.status == 503 else {"WWW-Authenticate": challenge}
    body = {"status": why.status, "detail": why.detail}
    return JSONResponse(body, why.status, headers, media_type="application/problem+json")


@app.get("/orders")
async def orders(user: Member):
    return f"No orders yet, {user['username']}.\n"


@app.post("/orders")
async def add(order: Annotated[Order, Depends(order)], user: Member):
    return f"One {order.item} for {user['username']}.\n"
