/**
 * aeternusdb's crash-recovery tests: data in the active log, in frozen
 * memtables and in tables survives the loss of the process, of the machine's
 * power, and a SIGKILL.
 *
 * Combination: its own.
 *
 * @module
 */
import { crashTests } from "./support/crash_tests.ts";
import { crashScenarios } from "./support/scenarios.ts";

crashTests("crash recovery", crashScenarios);
