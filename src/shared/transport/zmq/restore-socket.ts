/** Restores the file of a bound ipc socket after a cleaner of temporary folders has removed it, so that new peers can connect again. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { getuid } from 'node:process';

interface Bindable {
  bind(endpoint: string): Promise<void>;
}

const scheme = 'ipc://';

/**
 * Binds the endpoint again if its file is missing. Connections that exist are not affected. The folder is created again, unless
 * another user has taken its name meanwhile.
 * @returns true if the endpoint was bound again
 */
export async function restoreSocket(socket: Bindable, endpoint: string): Promise<boolean> {
  if (!endpoint.startsWith(scheme)) return false;
  const path = endpoint.slice(scheme.length);
  if (existsSync(path) || !restoreFolder(dirname(path))) return false;
  // Without `unbind`, which would close the connections of this endpoint.
  await socket.bind(endpoint);
  return true;
}

/** Returns true if the folder exists and belongs to this user. */
function restoreFolder(folder: string): boolean {
  try {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    return statSync(folder).uid === getuid?.();
  } catch {
    return false;
  }
}
