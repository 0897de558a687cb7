/** The chart library, as the server hands it out beside the page's own modules. */
export { default } from 'uplot';
