// node fetch.mjs [--c-ares] URL: resolves the host, gets the page with Node's own client, prints the body.
//
// Exit code: 0 for status 200, 1 when the name does not resolve, 2 when there is no answer, 3 for another status.
// Node has two resolvers. By default its clients ask the C library's getaddrinfo; what dns.resolve finds comes by c-ares,
// which reads /etc/resolv.conf by itself and asks for the name as it is, without search domains.
import dns from "node:dns";
import { once } from "node:events";
import http from "node:http";
import { buffer } from "node:stream/consumers";

const UNRESOLVED = 1, UNANSWERED = 2, OTHER_STATUS = 3, USAGE = 64;
const TIME_LIMIT = 5000; // milliseconds

function byCAres(host, _, done) {
  dns.resolve4(host, (error, found = []) => done(error, found.map((address) => ({ address, family: 4 }))));
}

async function get(url, lookup) {
  const request = http.get(url, { lookup, agent: false, signal: AbortSignal.timeout(TIME_LIMIT) });
  const [answer] = await once(request, "response");
  return { status: answer.statusCode, body: await buffer(answer) };
}

const words = process.argv.slice(2);
const lookup = words[0] === "--c-ares" ? (words.shift(), byCAres) : dns.lookup;
if (words.length !== 1) {
  console.error("usage: fetch.mjs [--c-ares] URL");
  process.exit(USAGE);
}
try {
  const { status, body } = await get(words[0], lookup);
  process.stdout.write(body);
  process.exitCode = status === 200 ? 0 : OTHER_STATUS;
} catch (error) {
  console.error(error.message);
  process.exitCode = error.code === "ENOTFOUND" ? UNRESOLVED : UNANSWERED;
}
