/** The check that no other user can change an engine's folder, whose libraries are executed. */
import { EngineError } from '../../shared/errors.js';
import { changeableByOthers } from '../../shared/files/ownership.js';

/** Returns the reason why the engine in `directory` must not be loaded; undefined if there is none. */
export function engineFault(directory: string): string | undefined {
  try {
    return changeableByOthers(directory);
  } catch {
    // A missing folder is reported when its files are read.
    return undefined;
  }
}

/** @throws EngineError if another user can change the engine */
export function requireTrusted(directory: string): void {
  const fault = engineFault(directory);
  if (fault === undefined) return;
  throw new EngineError(
    `Engine folder ${directory}: expected one that only this user or root can change, got another: ${fault}. ` +
      'It is not loaded. Change its owner and mode, or set XDG_CACHE_HOME and install the engine again.',
    { path: directory },
  );
}
