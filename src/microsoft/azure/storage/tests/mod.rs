mod azurite;
mod calls;
mod feed;
mod ownership;
mod service;
