"""Who made a bundle: Ed25519 signatures (RFC 8032) of bundle.json, and the keys one trusts."""
