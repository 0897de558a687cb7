/** Exit statuses of every Lockstep process. */

export const exitStatus = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
