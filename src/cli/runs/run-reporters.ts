/** Opens the reporters of a run that `train` or `coordinator` leads, from its setup and the options of the command. */

import type { RunHealth } from '../health/run-health.js';
import type { RunSetup } from '../options/run-setup.js';
import { outputFlags, type TrainFlags } from '../options/train-options.js';
import { openRunReporters } from '../reporters/observers.js';
import type { Reporters } from '../reporters/reporters.js';
import { prepareFolder } from './prepare-folder.js';

/**
 * @param takenOver true if the run had another coordinator, whose log is continued
 * @throws ConfigError if a folder cannot be written or an address cannot be used
 */
export function openReportersOf(
  setup: RunSetup,
  flags: TrainFlags,
  health: RunHealth | undefined,
  takenOver: boolean,
): Promise<Reporters> {
  const { out, resume, definition, changes, warnings } = setup;
  return openRunReporters({
    out,
    resume: takenOver ? null : resume,
    takenOver,
    callbacks: definition.callbacks,
    changes,
    warnings,
    onStart: prepareFolder(setup),
    health,
    ...outputFlags(flags),
  });
}
