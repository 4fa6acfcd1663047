"""Questions measured once, such as which resampling suits a bundle, each with its command."""
