"""A mail server for tests: keeps each mail as JSON in a folder of its recipient, and refuses or hesitates as its name says.

server.py FOLDER plain|ascii|starttls|smtps [CERTIFICATE KEY]   prints its port, and ends with its standard input
"""
import asyncio
import email
import itertools
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder, mode, *files = sys.argv[1:]
numbers = itertools.count()


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        mended = os.path.exists(f"{folder}/mended-{address}")
        for code in ("450", "550", "553"):
            if address.startswith(code) and not mended:
                with open(f"{folder}/refused-{address}", "a") as file:
                    file.write(".")
                return "553 5.7.1 sender refused" if code == "553" else f"{code} no <{address}> here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        [to] = envelope.rcpt_tos
        if to.startswith("silence"):
            await asyncio.sleep(3600)
        mail = email.message_from_bytes(envelope.content)
        kept = {
            "from": envelope.mail_from,
            "hello": session.host_name,
            "login": session.auth_data.login.decode() if session.auth_data else None,
            "encrypted": mode == "smtps" or session.ssl is not None,
            "headers": {name.lower(): value for name, value in mail.items()},
            "body": mail.get_payload(decode=True).decode().replace("\r\n", "\n"),
        }
        os.makedirs(f"{folder}/{to}", exist_ok=True)
        path = f"{folder}/{to}/{next(numbers):06}"
        with open(f"{path}.part", "w") as file:
            json.dump(kept, file)
        os.rename(f"{path}.part", f"{path}.json")
        if to.startswith("slow"):
            await asyncio.sleep(1)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b"mailer", b"p@ss/word")
    return AuthResult(success=right, handled=True, auth_data=data)


def smtp():
    options = {}
    if mode not in ("plain", "ascii"):
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": mode == "starttls"}
    if mode == "starttls":
        options |= {"tls_context": context(), "require_starttls": True}
    return SMTP(Keeper(), enable_SMTPUTF8=mode != "ascii", **options)


def context():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*files)
    return tls


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=context() if mode == "smtps" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
