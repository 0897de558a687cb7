/** Number schemas that several parts of the configuration share. */

import { z } from 'zod';

export const positiveInt = (max: number): z.ZodInt => z.int().min(1).max(max);
export const finite = z.number().refine(Number.isFinite, 'must be a finite number');
