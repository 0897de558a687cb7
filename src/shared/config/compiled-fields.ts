/** Compares the fields that `model.compile` of a definition can choose, when a run resumes. */

import { compareConfigs, type ConfigComparison } from './resume-policy.js';
import type { CompiledFields, ResolvedConfig } from './run-config.js';

/** Compares the fields with which a checkpoint was trained with those of the run that resumes from it. */
export function compareCompiled(
  before: CompiledFields,
  now: CompiledFields,
  config: ResolvedConfig,
): ConfigComparison {
  return compareConfigs({ ...config, ...before }, { ...config, ...now });
}
