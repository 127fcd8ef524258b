/**
 * aeternusdb's tests of sequence numbers after a crash: what is written after
 * it is newer than what was written before, in every layer.
 *
 * Combination: its own.
 *
 * @module
 */
import { crashTests } from "./support/crash_tests.ts";
import { sequenceScenarios } from "./support/scenarios.ts";

crashTests("sequence after a crash", sequenceScenarios);
