/** The configuration of a run in one process, in which silence is no sign of a failure, since a step blocks the only thread. */

import type { ResolvedConfig } from '../../shared/config/run-config.js';

const timeouts = { peerTimeoutMs: 3_600_000, stepTimeoutMs: 86_400_000 } as const;

export const singleProcessConfig = (config: ResolvedConfig): ResolvedConfig => ({
  ...config,
  workers: 1,
  ...timeouts,
});

/** Removes these timeouts from the configuration of such a run, so that a resumed run on several workers has its own. */
export function withoutSingleProcessTimeouts(config: ResolvedConfig): Partial<ResolvedConfig> {
  const { peerTimeoutMs, stepTimeoutMs, ...rest } = config;
  const isSingle = peerTimeoutMs === timeouts.peerTimeoutMs && stepTimeoutMs === timeouts.stepTimeoutMs;
  return isSingle ? rest : config;
}
