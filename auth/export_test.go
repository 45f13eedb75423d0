package auth

// HasChecksum reports whether the secret was made by NewSecret and arrived
// undamaged, as a secret scanner checks it. Secrets that people chose have
// none; looking a token up does not ask for it.
func HasChecksum(secret string) bool {
	if len(secret) != secretDigits {
		return false
	}
	digits, sum := secret[:secretRandomDigits], secret[secretRandomDigits:]
	return checksum(digits) == sum
}
