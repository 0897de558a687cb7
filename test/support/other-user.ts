/** Runs programs as another user of this machine, which needs root and `setpriv`. */
import { execFileSync } from 'node:child_process';
import { getuid } from 'node:process';

/** A user id without an account, so that no file belongs to it. */
export const otherUid = 54_321;

function canSwitch(): boolean {
  if (getuid?.() !== 0) return false;
  try {
    runAsOther('true', []);
    return true;
  } catch {
    return false;
  }
}

/** The reason to skip a test that needs a second user; undefined if it can run. */
export const noOtherUser: string | undefined = canSwitch()
  ? undefined
  : 'needs root and setpriv, to act as another user';

/** Returns what the program printed. @throws if it ends with another status than 0 */
export function runAsOther(program: string, args: readonly string[]): string {
  const id = String(otherUid);
  const identity = ['--reuid', id, '--regid', id, '--clear-groups'];
  return execFileSync('setpriv', [...identity, program, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
  });
}
