/** Restores the file of a bound ipc socket after a cleaner of temporary folders has removed it, so that new peers can connect again. */

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { restoreFolder } from '../../files/restore-folder.js';
import { socketPath } from '../../security/endpoints.js';

interface Bindable {
  bind(endpoint: string): Promise<void>;
}

/**
 * Binds the endpoint again if its file is missing. Connections that exist are not affected. The folder is created again, unless
 * another user has taken its name meanwhile.
 * @returns true if the endpoint was bound again
 */
export async function restoreSocket(socket: Bindable, endpoint: string): Promise<boolean> {
  const path = socketPath(endpoint);
  if (path === undefined || existsSync(path) || !restoreFolder(dirname(path))) return false;
  // Without `unbind`, which would close the connections of this endpoint.
  await socket.bind(endpoint);
  return true;
}
