import { recurrentTraining } from './recurrent.js';

export default recurrentTraining('lstm');
