/** pm2, which starts equal processes, numbers them, and counts their restarts. */

import { alone, wholeNumberIn, type Environment, type Placement } from './platform.js';

export function pm2(environment: Environment): Placement | undefined {
  const instance = wholeNumberIn(environment, 'NODE_APP_INSTANCE');
  if (instance === undefined && environment['pm_id'] === undefined) return undefined;
  return {
    ...alone,
    launcher: 'pm2',
    job: 'pm2',
    localRank: instance ?? 0,
    restarts: environment['pm_id'] === undefined ? 0 : (wholeNumberIn(environment, 'restart_time') ?? 0),
  };
}
