/** `lockstep status`: asks the health server of a running process, for people and for probes that run a command. */

import { PeerLostError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { parseHealthAddress } from '../../shared/http/health-server.js';
import { httpUrl } from '../../shared/http/listen.js';

export interface StatusFlags {
  /** Address of `--health` of the process. */
  readonly address: string;
  /** True if the exit status depends on `/healthz` alone. */
  readonly live?: boolean;
}

const limitMs = 5_000;
/** The longest answer of a health server is one word. */
const longestAnswer = 100;

/**
 * Prints both answers, for example `live: ok, ready: loading`. Returns 0 if the process is ready, or alive with `live`, else 1.
 * @throws ConfigError for text that is no address; PeerLostError if no process answers there
 */
export async function status({ address, live = false }: StatusFlags): Promise<number> {
  const url = httpUrl(parseHealthAddress(address));
  const [isAlive, isReady] = await Promise.all([ask(`${url}healthz`), ask(`${url}readyz`)]);
  process.stdout.write(`live: ${isAlive}, ready: ${isReady}\n`);
  return (live ? isAlive : isReady) === 'ok' ? exitStatus.done : exitStatus.failed;
}

async function ask(url: string): Promise<string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(limitMs), redirect: 'error' });
    const text = (await answer.text()).trim();
    if (/^[a-z]+$/.test(text) && text.length <= longestAnswer) return text;
  } catch (cause) {
    throw noAnswer(url, cause);
  }
  throw noAnswer(url, undefined);
}

function noAnswer(url: string, cause: unknown): PeerLostError {
  return new PeerLostError(
    `No health server at ${url}: expected one word within ${limitMs / 1000} s, got ${cause === undefined ? 'something else' : 'no answer'}. ` +
      'Give the address of --health of a running process.',
    { who: 'health server', url },
    cause,
  );
}
