// The thread beside the builder: it starts each RUN's command, and helps to look what has changed when that has ended.
import { parentPort, workerData } from 'node:worker_threads';
import { type WorkerStart, serveLaunches } from '../linux/launch-worker.ts';
import { type LookRequest, lookAgain } from '../rootfs/second-look.ts';

parentPort?.on('message', (request: LookRequest) => lookAgain(request));
serveLaunches(workerData as WorkerStart); // made only by createLauncher()
