/** The names of runs that the dashboard accepts in requests and in the address of its page. */

export const isRunName = (name: string): boolean => /^[\w:-][\w.:-]{0,199}$/.test(name);
