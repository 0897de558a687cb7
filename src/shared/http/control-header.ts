/** The header of the requests that change a live run. The page of the dashboard sends it with each of them. */
export const controlHeader = 'x-lockstep-control';
