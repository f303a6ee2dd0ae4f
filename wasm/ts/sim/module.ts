// The module of the simulation.
import { Loader } from "../loader.js";
import init, { initSync } from "../sim_glue.js";

export const simulation = new Loader("the simulation", { init, initSync });
