/** The result of one check of this machine. A check changes nothing and needs no network. */

export interface Finding {
  readonly name: string;
  /** `warning`: training works, but slower or with limits; `problem`: training does not work. */
  readonly state: 'ok' | 'warning' | 'problem';
  readonly found: string;
  /** Instructions for a warning or a problem. */
  readonly advice?: string;
}

export type Check = () => Finding | Promise<Finding>;
