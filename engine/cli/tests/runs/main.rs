//! Whole runs of the binary: the pipeline and its folder, every family of models, kills and resumes, wrong input, GSM8K from its files.
#![cfg(unix)]

mod commands;
mod configs;
mod families;
mod gsm8k;
mod lora;
mod memory;
mod pipeline;
mod python_rewards;
mod resume;
mod tiny;
mod wrong_input;
