#!/bin/sh
# Makes the recordings in this folder anew: sh make.sh
# Needs espeak-ng (1.51), flite (2.2) and sox. All audio goes through 8 kHz μ-law, as a call's does.
set -eu
cd "$(dirname "$0")"

telephone() { # FILE: standard input (WAV) as heard over the telephone
    sox -t wav - -t raw -r 8000 -c 1 -e mu-law - | sox -t raw -r 8000 -c 1 -e mu-law - -b 16 -e signed-integer "$1"
}

hello="Hello, I would like to speak to a person, please."
espeak-ng -v en-us -s 160 --stdout "$hello" | telephone hello-espeak.wav
flite -voice slt -t "$hello" -o /dev/stdout | telephone hello-flite.wav
