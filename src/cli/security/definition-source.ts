/** Decides which file a worker executes as the training definition. */

import { socketPath } from '../../shared/security/endpoints.js';
import type { ClientKeys } from '../../shared/security/curve-key.js';
import type { DefinitionSource } from '../../worker/open-definition.js';
import { definitionPath } from '../options/definition-path.js';

/**
 * A coordinator may name the file only if it is known to belong to this user (it is the launcher's, or at a socket in a private folder)
 * or has proved its identity by a key. On TCP without keys, any user of the machine could be the coordinator.
 */
export function definitionSource(
  flags: { readonly coordinator: string; readonly config?: string; readonly launched?: boolean },
  keys: ClientKeys | null,
): DefinitionSource {
  const { coordinator, config, launched = false } = flags;
  // The launcher has executed the file itself.
  if (launched) return { path: null, checked: false };
  const isKnown = keys !== null || socketPath(coordinator) !== undefined;
  return { path: config === undefined && isKnown ? null : definitionPath(config), checked: true };
}
