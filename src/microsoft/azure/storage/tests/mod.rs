mod calls;
mod ownership;
mod service;
