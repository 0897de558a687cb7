/** The chart library, under the path at which the server provides it. */
export { default } from 'uplot';
