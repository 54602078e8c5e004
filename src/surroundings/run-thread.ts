// The thread beside the builder: it starts each RUN's command, and when that has ended helps to look what has changed, and to read it.
import { parentPort, workerData } from 'node:worker_threads';
import { type ReadAheadRequest, readAhead } from '../files/read-ahead.ts';
import { type WorkerStart, serveLaunches } from '../linux/launch-worker.ts';
import { type LookRequest, lookAgain } from '../rootfs/second-look.ts';

parentPort?.on('message', (request: LookRequest | ReadAheadRequest) => ('ring' in request ? readAhead(request) : lookAgain(request)));
serveLaunches(workerData as WorkerStart); // made only by createLauncher()
